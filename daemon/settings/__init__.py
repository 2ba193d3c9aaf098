"""What people write: the configuration, presets, hooks and hours, read strictly."""
