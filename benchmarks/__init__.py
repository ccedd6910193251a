"""One script a question; records, statistics and figures shared by all."""
