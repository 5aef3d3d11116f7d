"""OAuth: connecting a tenant's account, and keeping its tokens fresh."""
