"""`voltlync books`: the books against the raw records, through the door."""
