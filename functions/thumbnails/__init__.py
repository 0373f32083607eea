"""The domain: what a thumbnail is, how one is made and where it is kept. Knows neither Lambda nor Step Functions."""
