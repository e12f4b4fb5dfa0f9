"""Mathematics of load in buckets of time: rates, trends, noise, maxima and fitted lines. Nothing here knows pods."""
