// A key distribution server on loopback with the layout of AMD's URLs, and its client.
