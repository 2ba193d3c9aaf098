"""What people and monitors see of the service."""
