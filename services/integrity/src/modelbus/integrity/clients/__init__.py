"""Who integrity calls: the catalog, for its feed."""
