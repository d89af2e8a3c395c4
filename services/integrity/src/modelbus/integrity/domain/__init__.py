"""The rules of references: what names what, and when that is wrong; standard library only."""
