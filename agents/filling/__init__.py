"""A record of many calls that never happened, for measuring how pages stand a long history."""
