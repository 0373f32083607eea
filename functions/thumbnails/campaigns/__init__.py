"""Campaigns: a file of titles beyond the cap, each row a run of its own."""
