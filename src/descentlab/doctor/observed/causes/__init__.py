"""The causes that are tried against observed losses."""
