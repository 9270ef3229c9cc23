"""What is kept of users beside their accounts: what tokens say about them, their erasure, their export."""
