"""Generative models and the losses that train them; torch and numpy only.

A model of images has a frozen config, a seed, `loss` (or one for each player) and `sample`; presets are
constants beside it, in capitals. Where to look:

    losses, likelihoods   gan (adversarial losses and penalties), information (bounds on mutual information),
                          likelihoods (of pixels and codes), evidence (of what was seen in part)
    models, adversarial   adversarial (what they share), dcgan, improved_gan, infogan
    models, with codes    likelihood_model (what all below share), autoencoder, posterior, vae, resnet_vae,
                          draw
    models, pixel by      pixel_model (what they share), pixelcnn, pixelrnn; pixel_sampling: naive, cached,
      pixel                 Jacobi
    flows and masks       masks (who sees whom), masked (dense and convolutional layers, MADE), iaf
    layers                networks, residual, weight_norm, normalization, minibatch, noise, attention,
                          observations, classifiers, lstm, row_lstm, diagonal_lstm, line_lstm, skew,
                          masked_convolution, gated_pixelcnn, pixel_network, pixels
    training              settings (batches, epochs), averages (of parameters)
    uses                  posterior_search (images behind noise, holes and few pixels)
    for agents            bayes (VIME's network); GAIL's discriminator takes its losses from gan
"""
