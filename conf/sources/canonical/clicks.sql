-- The files have the canonical columns already; ds comes from the folder's name.
SELECT * FROM clicks
