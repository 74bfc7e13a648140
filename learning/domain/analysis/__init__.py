"""From a statistics document to a verdict document. Pure, so that a command can do it offline."""
