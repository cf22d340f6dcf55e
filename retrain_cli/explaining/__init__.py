"""Why a head says what it says: which places of a photo speak for a class."""
