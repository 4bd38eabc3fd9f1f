"""What is kept of scored pictures, and what people said of them."""
