"""Third floor: protocols, tables, reports."""
