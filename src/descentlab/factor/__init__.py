"""The QR factor that stands for any number of rows: how it is built, merged and stored."""
