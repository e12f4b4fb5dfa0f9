"""One model behind one address: its source, its image, its pods and their bounds."""
