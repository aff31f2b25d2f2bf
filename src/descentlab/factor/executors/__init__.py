"""Where pieces of rows are compressed: threads, Dask, a GPU."""
