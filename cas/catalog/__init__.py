"""Our own PostgreSQL database: sessions, packs, versions. One port, and its implementation."""
