"""The report as one HTML file, and beside it a folder with its numbers and figures."""
