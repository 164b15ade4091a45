"""The firmware of the TTL box, its wire protocol for both ends, and its simulator."""
