"""Rescue: assessment, phases, custody, reports, drift, search, cases."""
