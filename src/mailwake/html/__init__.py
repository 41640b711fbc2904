"""HTML as an HTML5 parser reads it, without a tree: links, and the places where an image can stand, as offsets."""
