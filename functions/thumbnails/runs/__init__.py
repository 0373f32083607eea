"""Runs, from the request to the result: started, opened, followed, listed, stopped, resumed, collected, packed."""
