"""What tests share: a studio with a real service, odd file systems, a puppet for a worker."""
