"""What a notebook shows: results as small pages, tables as frames, work as bars."""
