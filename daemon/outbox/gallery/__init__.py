"""The gallery: pages beside the results that open from the share itself, without any server. They
are made from the records alone; the templates, styles and script are the page's too.
"""
