"""QR by Householder reflections: of a block of rows, and of triangles that are merged."""
