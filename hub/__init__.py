"""The hub: takes events, keeps them, and delivers them to every connected account."""
