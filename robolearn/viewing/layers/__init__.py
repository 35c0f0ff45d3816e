"""What a recording shows: one layer for each kind of thing, of which none knows the others."""
