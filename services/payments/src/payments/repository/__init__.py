"""SQL of payments, a module per table. Every function works inside the caller's transaction and commits nothing."""
