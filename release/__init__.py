"""Release: plan, score and publish a whole data release on whatever engine there is."""
