"""What happened between two releases: ``facts`` gathers it, ``page`` makes a page of it."""
