"""Sessions and predictions in the formats of other programs."""
