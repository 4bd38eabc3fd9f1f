"""The inspection station: an HTTP service, its web page and the store of reviews."""
