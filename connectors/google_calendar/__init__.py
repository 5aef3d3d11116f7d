"""Google Calendar: appointments as events, in the first free slot or at a given time."""
