"""Pictures of simulated concerts: a small ray caster, and the people, instruments and rooms that it draws."""
