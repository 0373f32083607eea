"""Brand kits: colours, fonts, logo and templates of a site's own, each kit one JSON document in the bucket."""
