"""Source text of converted loops: one file a target library, and what they share."""
