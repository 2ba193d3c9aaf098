"""Tests of the service: unit, engine, integration, acceptance, faults, and the long ones."""
