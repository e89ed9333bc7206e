def write_pages():
    pass
