"""Image models on real images: data sets, a classifier's features, metrics and pictures."""
