"""Learning from incomplete images by hiding more of them: what the methods that do so share."""
