from nicegui import ui
def register(library):
    @ui.page("/")
    def main():
        ui.label("hello")
        ui.button("x", on_click=lambda: ui.notify("hi"))
