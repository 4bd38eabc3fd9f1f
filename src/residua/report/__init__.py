"""The report: figures, the page that holds them, and the numbers beside it."""
