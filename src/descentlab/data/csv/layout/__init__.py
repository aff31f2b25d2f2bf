"""Where a CSV file's parts lie: separator, header, rows, totals and footer."""
