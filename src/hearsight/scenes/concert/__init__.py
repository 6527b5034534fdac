"""Simulated concerts: rooms, performers, sound and pictures drawn by chance, with every truth known."""
