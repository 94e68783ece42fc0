"""The first stage of LDMiss: posterior, masked ELBO and the codecs between pixels and diffusion space."""
