"""Where the pieces of a source are compressed: in this thread, in several threads, on a Dask cluster, or on a GPU."""
